// Points of plots show their numbers when they are pointed at or gone to by arrow keys; series can be switched off, and
// k be linear. Where the points are and what they stand for is JSON in each drawing.
{
  const NEAR = 14; // in units of the drawing
  const MOST_NOTED = 30;

  const SVG = "http://www.w3.org/2000/svg";
  const words = (series, values) =>
    values.map((value, place) => (place && value ? `${series.columns[place]} ${value}` : value)).filter(Boolean).join(" · ");

  /** One drawing: its series, which of them are shown, and the point that is gone to. */
  class Plot {
    constructor(svg, data, note) {
      Object.assign(this, { svg, data, note, linear: false, at: null });
      this.box = svg.viewBox.baseVal;
      this.prefix = svg.querySelector("title").id.replace(/-title$/, "");
      this.points = data.series.flatMap((series, place) =>
        series.points.map(([x, y, values, cell]) => ({ x, y, log: x, values, cell, series, place })));
      data.series.forEach((series) => { series.shown = true; });
      const title = svg.querySelector("title");
      svg.setAttribute("aria-label", title.textContent);
      svg.removeAttribute("aria-labelledby");
      title.remove(); // would be shown over the numbers
      this.tip = make("div", { class: "tip", role: "status" });
      this.ring = document.createElementNS(SVG, "circle");
      this.ring.setAttribute("class", "ring");
      this.ring.setAttribute("r", "6");
      this.frame = make("div", {
        class: "plot", tabindex: "0", role: "group",
        "aria-label": "Points: arrow keys go through them, Enter notes the numbers of one below",
      });
      svg.replaceWith(this.frame);
      svg.append(this.ring);
      this.frame.append(svg, this.tip);
      this.leave();
      this.frame.addEventListener("pointermove", (event) => this.point(event));
      this.frame.addEventListener("pointerleave", () => this.leave());
      this.frame.addEventListener("blur", () => this.leave());
      this.frame.addEventListener("click", (event) => { this.point(event); this.noteAll(); });
      this.frame.addEventListener("keydown", (event) => this.key(event));
    }

    get shown() { return this.points.filter((point) => point.series.shown); }

    point(event) {
      const area = this.svg.getBoundingClientRect();
      const x = ((event.clientX - area.left) * this.box.width) / area.width;
      const y = ((event.clientY - area.top) * this.box.height) / area.height;
      const away = (point) => Math.hypot(point.x - x, point.y - y);
      const nearest = this.shown.reduce((best, point) => (best && away(best) <= away(point) ? best : point), null);
      if (nearest && away(nearest) <= NEAR) this.go(nearest);
      else this.leave();
    }

    /** The points that are shown where one is, itself first. */
    same(point) {
      const near = this.shown.filter((other) => other !== point && Math.hypot(other.x - point.x, other.y - point.y) < 1.5);
      return [point, ...near];
    }

    go(point) {
      this.at = point;
      const here = this.same(point);
      const lines = here.slice(0, 5).map((each) => make("div", {}, words(each.series, each.values)));
      if (here.length > 5) lines.push(make("div", {}, `and ${here.length - 5} more`));
      this.tip.replaceChildren(...lines);
      const [right, down] = [point.x / this.box.width, point.y / this.box.height];
      this.tip.style.left = `${100 * right}%`;
      this.tip.style.top = `${100 * down}%`;
      this.tip.style.transform = `translate(${-100 * right}%, ${down > 0.3 ? "calc(-100% - 10px)" : "14px"})`;
      this.tip.hidden = false;
      this.ring.setAttribute("cx", point.x);
      this.ring.setAttribute("cy", point.y);
      this.ring.style.display = "";
    }

    leave() {
      this.at = null;
      this.tip.hidden = true;
      this.ring.style.display = "none";
    }

    noteAll() { if (this.at) this.same(this.at).forEach((point) => this.note(point)); }

    key(event) {
      const points = this.shown;
      const here = this.at ? points.indexOf(this.at) : -1;
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 0, ArrowUp: 0, Home: -points.length, End: points.length }[event.key];
      if (event.key === "Escape") this.leave();
      else if (event.key === "Enter" || event.key === " ") this.noteAll();
      else if (step !== undefined && points.length) {
        const next = step === 0 && here >= 0 ? this.beside(points, event.key === "ArrowDown" ? 1 : -1) : points[
          Math.min(Math.max(here + (here < 0 ? Math.max(step, 1) : step), 0), points.length - 1)];
        this.go(next ?? this.at);
      } else return;
      event.preventDefault();
    }

    /** The point under or over the present one: of another series where there are several, or else of another row. */
    beside(points, down) {
      const { x, y, place } = this.at;
      const several = points.some((point) => point.place !== place);
      const there = points.filter((point) => (several ? (point.place - place) * down > 0 : (point.y - y) * down > 1));
      const far = (point) => (several ? 1e4 * Math.abs(point.place - place) : 9 * Math.abs(point.y - y)) + Math.abs(point.x - x);
      return there.sort((a, b) => far(a) - far(b))[0];
    }

    /** Show the series whose every name is on; hide the drawing where there is none. */
    update(off) {
      this.leave();
      this.data.series.forEach((series, place) => {
        series.shown = Object.entries(series.names).every(([sort, name]) => !off.has(`${sort}\n${name}`));
        for (const drawn of this.svg.querySelectorAll(`[id^="${this.prefix}-series-${place}-"]`)) {
          drawn.style.display = series.shown ? "" : "none";
        }
      });
      this.frame.closest(".panel").hidden = !this.data.series.some((series) => series.shown);
    }

    /** Draw k along a linear axis, or along the logarithmic one it was drawn on. */
    rescale(linear) {
      this.leave();
      const [left, right] = this.data.span;
      const [[x0, k0], [x1, k1]] = [this.data.doses[0], this.data.doses.at(-1)];
      const k = (x) => k0 * (k1 / k0) ** ((x - x0) / (x1 - x0));
      const to = (x) => (linear ? left + ((right - left) * k(x)) / (1.06 * k1) : x);
      const was = (element, name) => (element.dataset[`was${name}`] ??= element.getAttribute(name) ?? "");
      for (const group of this.svg.querySelectorAll(`[id^="${this.prefix}-series-"], [id^="${this.prefix}-xtick_"]`)) {
        const used = [...group.querySelectorAll("use")];
        for (const use of used) if (was(use, "x") !== "0") use.setAttribute("x", to(Number(was(use, "x"))));
        for (const path of group.querySelectorAll("path")) {
          const marker = used.some((use) => use.getAttribute("xlink:href") === `#${path.id}` && was(use, "x") !== "0");
          const moved = (_, command, x) => `${command} ${to(Number(x))} `;
          if (!marker) path.setAttribute("d", was(path, "d").replace(/([ML]) (-?[\d.]+) /g, moved));
        }
        for (const text of group.querySelectorAll("text")) {
          text.setAttribute("x", to(Number(was(text, "x"))));
          text.setAttribute("transform", linear ? "" : was(text, "transform"));
        }
      }
      this.unclutter(linear);
      for (const point of this.points) point.x = to(point.log);
    }

    /** Leave those of the doses' labels that have room, the largest first. */
    unclutter(linear) {
      let free = Infinity;
      for (const text of [...this.svg.querySelectorAll(`[id^="${this.prefix}-xtick_"] text`)].reverse()) {
        const half = 2.6 * text.textContent.length;
        const x = Number(text.getAttribute("x"));
        text.style.display = linear && x + half > free ? "none" : "";
        if (!linear || x + half <= free) free = x - half - 2;
      }
    }
  }

  /** The numbers of points, noted under a figure: a table for each kind of series. */
  const notes = (figure) => {
    const kinds = new Map();
    const place = make("div", { class: "noted", "aria-live": "polite" });
    const clear = make("button", { type: "button", click: () => { kinds.clear(); place.replaceChildren(); } }, "Clear");
    figure.querySelector(".panels").after(place);
    return (point) => {
      const key = point.series.columns.join("\n");
      if (!kinds.has(key)) {
        const body = make("tbody");
        const head = ["Spot", ...point.series.columns, ""].map((name) => (name ? make("th", { scope: "col" }, name) : make("td")));
        place.prepend(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Noted numbers" },
          make("table", {}, make("thead", {}, make("tr", {}, ...head)), body)));
        kinds.set(key, { body, seen: new Set() });
      }
      const { body, seen } = kinds.get(key);
      const values = [point.series.names.Spot ?? "", ...point.values];
      const told = values.join("\n");
      place.append(clear);
      if (seen.has(told) || seen.size >= MOST_NOTED) return;
      seen.add(told);
      const cells = values.map((value, number) => make(number ? "td" : "th", number ? {} : { scope: "row" }, value));
      const link = document.getElementById("items") && point.cell ? [itemsLink(point.cell, words(point.series, point.values))] : [];
      body.append(make("tr", {}, ...cells, make("td", {}, ...link)));
    };
  };

  for (const figure of document.querySelectorAll(".picture")) {
    const note = notes(figure);
    const plots = [...figure.querySelectorAll("svg")].flatMap((svg) => {
      const data = svg.querySelector("metadata")?.textContent;
      return data ? [new Plot(svg, JSON.parse(data), note)] : [];
    });
    const sorts = new Map();
    for (const series of plots.flatMap((plot) => plot.data.series)) {
      for (const [sort, name] of Object.entries(series.names)) {
        sorts.set(sort, (sorts.get(sort) ?? new Set()).add(name));
      }
    }
    const off = new Set();
    const tools = [...sorts].filter(([, names]) => names.size > 1).map(([sort, names]) =>
      choices(sort, [...names], (name, on) => {
        off[on ? "delete" : "add"](`${sort}\n${name}`);
        plots.forEach((plot) => plot.update(off));
      }));
    const scaled = plots.filter((plot) => plot.data.doses.length > 1);
    if (scaled.length) {
      tools.push(choices("Axis of k", ["logarithmic", "linear"], (value) => scaled.forEach((plot) => plot.rescale(value === "linear")), "logarithmic"));
    }
    if (tools.length) figure.prepend(make("div", { class: "tools" }, ...tools));
  }
}
