// Items of the tasks, the original model's answer beside an edited one's.
{
  const AT_ONCE = 5;
  const place = document.getElementById("items");
  const written = document.getElementById("items-data");

  if (place && written) {
    const { tasks, cells, judged, items, texts } = JSON.parse(written.textContent);
    const asked = items.map(([task, number, prompt, options, target, answers]) => ({ task, number, prompt, options, target, answers }));
    const outcome = (answer) => answer[0];
    const FILTERS = {
      "all items": () => true,
      "broken by the edit": (before, after) => outcome(after) < outcome(before),
      "kept": (before, after) => outcome(before) > 0 && outcome(after) >= outcome(before),
      "answered otherwise": (before, after) => before.slice(1).join() !== after.slice(1).join(),
      "mended by the edit": (before, after) => outcome(after) > outcome(before),
    };

    const option = (text, value) => make("option", { value }, text);
    const select = (label, options) => {
      const made = make("select", { change: () => show() }, ...options);
      return [made, make("label", {}, `${label} `, made)];
    };
    const spots = [...new Set(cells.slice(1).map(([, spot]) => spot))];
    const groups = spots.map((spot) => make("optgroup", { label: spot },
      ...cells.map(([, own, title], index) => [own, title, index]).filter(([own, , index]) => index && own === spot)
        .map(([, title, index]) => option(`${spot}, ${title}`, index))));
    const known = tasks.map((task, index) => [task, index]).filter(([, index]) => asked.some((item) => item.task === index));
    const [task, taskLabel] = select("Task", known.map(([name, index]) => option(name, index)));
    const [edited, editedLabel] = select("Edited model", groups);
    const [kind, kindLabel] = select("Show", Object.keys(FILTERS).map((name) => option(name, name)));
    const search = make("input", { type: "search", input: () => show() });
    const said = make("p", { class: "note", role: "status" });
    const list = make("ol", { class: "items" });
    const more = make("button", { type: "button", class: "more", click: () => extend() }, "Show more");
    let found = [];

    const verdict = (item, answer, number) => {
      const given = texts[answer[2 + 2 * number]];
      if (given) return [given, given === "passed"];
      return outcome(answer) === 1 ? ["right", true] : outcome(answer) === 0 ? ["wrong", false] : [`${outcome(answer)}`, outcome(answer) >= 0.5];
    };

    const chip = ([text, good]) => make("span", { class: `verdict ${good ? "good" : "bad"}` }, text);
    const block = (text, label) => make("pre", { tabindex: "0", role: "region", "aria-label": label }, make("code", {}, text || "(empty)"));

    /** One model's answer: a text for each of its programs, or the choice that it takes. */
    const answerOf = (item, index, who) => {
      const answer = item.answers[index];
      const figure = make("figure", {}, make("figcaption", {}, who));
      for (let number = 0; 1 + 2 * number < answer.length; number++) {
        const text = texts[answer[1 + 2 * number]];
        const shown = item.options.length ? texts[item.options[Number(text)]] ?? "(none)" : text;
        (number ? figure : figure.firstChild).append(" ", chip(verdict(item, answer, number)));
        figure.append(block(shown, `${who}: answer`));
      }
      return figure;
    };

    const state = ([before, after]) => (outcome(after) < outcome(before) ? ["broken", false] : outcome(after) > outcome(before)
      ? ["mended", true] : outcome(before) > 0 ? ["kept", true] : ["not solved before", false]);

    const shownItem = (item) => {
      const index = Number(edited.value);
      const name = `${tasks[item.task]}, item ${item.number}`;
      const parts = [make("h3", {}, name, " ", chip(state([item.answers[0], item.answers[index]])))];
      if (texts[item.prompt]) parts.push(block(texts[item.prompt], `${name}: question`));
      if (item.options.length) {
        parts.push(make("ul", { class: "choices" }, ...item.options.map((choice, number) =>
          make("li", number === item.target ? { class: "right" } : {}, texts[choice], number === item.target ? " (right)" : ""))));
      } else if (texts[item.target]) {
        parts.push(make("details", {}, make("summary", {}, "Target"), block(texts[item.target], `${name}: target`)));
      }
      const title = `${cells[index][1]}, ${cells[index][2]}`;
      parts.push(make("div", { class: "programs" }, answerOf(item, 0, "Original model"), answerOf(item, index, title)));
      return make("li", {}, ...parts);
    };

    const extend = () => {
      const next = found.slice(list.children.length, list.children.length + AT_ONCE);
      list.append(...next.map(shownItem));
      more.hidden = list.children.length >= found.length;
    };

    const show = () => {
      const index = Number(edited.value);
      const wanted = search.value.trim().toLowerCase();
      const here = asked.filter((item) => item.task === Number(task.value) && item.answers[0] && item.answers[index]);
      const holds = (item) => [item.prompt, ...item.options, ...(item.options.length ? [] : [item.target]),
        ...[0, index].flatMap((cell) => item.answers[cell].slice(1))].some((text) => texts[text].toLowerCase().includes(wanted));
      found = here.filter((item) => FILTERS[kind.value](item.answers[0], item.answers[index]) && (!wanted || holds(item)));
      said.textContent = here.length ? `${found.length} of ${here.length} items` : "This edited model wasn't asked this task.";
      list.replaceChildren();
      extend();
    };

    /** Go to the items of the cell that the address names. */
    const follow = () => {
      const named = location.hash.startsWith("#items/") ? decodeURIComponent(location.hash.slice(7)) : null;
      const index = cells.findIndex(([name]) => name === named);
      if (index < 1) return;
      edited.value = index;
      show();
      document.getElementById("programs").scrollIntoView();
      edited.focus({ preventScroll: true });
    };

    place.append(make("div", { class: "tools" }, taskLabel, editedLabel, kindLabel, make("label", {}, "Search ", search)), said, list, more);
    place.hidden = false;
    document.getElementById("samples")?.remove();
    edited.value = judged;
    show();
    follow();
    addEventListener("hashchange", follow);
  }
}
