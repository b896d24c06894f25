// Tables that can be sorted by any column and filtered by text; without this script they are as they were written.
{
  const FEW = 8;
  const FIXED = ".heading, .original";

  /** The number that a cell shows; null where it shows none. */
  const numberIn = (text) => {
    const plain = text.replace(/[\s,%×<]/g, "").replace("−", "-").replace("∞", "Infinity");
    return plain === "" || Number.isNaN(Number(plain)) ? null : Number(plain);
  };

  /** Order of two cells' texts: numbers by size, then texts; what shows nothing is last in either direction. */
  const compare = (a, b, direction) => {
    const empty = (text) => text === "" || text === "–";
    if (empty(a) || empty(b)) return empty(a) - empty(b);
    const [x, y] = [numberIn(a), numberIn(b)];
    if (x === null && y === null) return direction * a.localeCompare(b, "en", { numeric: true });
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (x === y ? 0 : x - y);
  };

  /** Rows of each group in order of one column, the original model first; direction 0 is the order as written. */
  const sort = (groups, column, direction) => {
    for (const { body, rows } of groups) {
      const text = (row) => row.cells[column].textContent.trim();
      const kept = rows.filter((row) => row.matches(FIXED));
      const others = rows.filter((row) => !kept.includes(row));
      if (direction) others.sort((a, b) => compare(text(a), text(b), direction));
      body.append(...kept, ...others);
    }
  };

  for (const figure of document.querySelectorAll("figure.table")) {
    const table = figure.querySelector("table");
    const groups = [...table.tBodies].map((body) => ({ body, rows: [...body.rows] }));
    const rows = groups.flatMap((group) => group.rows).filter((row) => !row.matches(".heading"));

    for (const row of table.querySelectorAll("tr[data-cell]")) {
      const group = row.parentElement.querySelector(".heading")?.textContent ?? "";
      const title = `${group} ${row.cells[0].textContent}, ${row.cells[1].textContent}`;
      row.cells[0].append(" ", itemsLink(row.dataset.cell, title.trim()));
    }

    if (groups.some((group) => group.rows.filter((row) => !row.matches(FIXED)).length > 1)) {
      const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
      let column = 0;
      for (const heading of headings) {
        const own = column;
        column += heading.colSpan;
        if (!heading.textContent.trim()) continue;
        const button = make("button", { type: "button", class: "sort" }, ...heading.childNodes);
        button.addEventListener("click", () => {
          const next = { none: "ascending", ascending: "descending", descending: "none" }[heading.ariaSort ?? "none"];
          for (const other of headings) other.removeAttribute("aria-sort");
          if (next !== "none") heading.setAttribute("aria-sort", next);
          sort(groups, own, { ascending: 1, descending: -1, none: 0 }[next]);
        });
        heading.append(button);
      }
    }

    if (rows.length >= FEW) {
      const said = make("span", { role: "status" });
      const filter = (event) => {
        const wanted = event.target.value.trim().toLowerCase();
        const has = (element) => element?.textContent.toLowerCase().includes(wanted) ?? false;
        for (const group of groups) {
          const heading = group.rows.find((row) => row.matches(".heading"));
          const whole = has(heading);
          for (const row of group.rows) if (row !== heading) row.hidden = !whole && !has(row);
          if (heading) heading.hidden = group.rows.every((row) => row === heading || row.hidden);
        }
        said.textContent = wanted ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
      };
      const input = make("input", { type: "search", input: filter });
      figure.querySelector(".scroll").before(make("p", { class: "tools" }, make("label", {}, "Filter rows ", input), said));
    }
  }
}
