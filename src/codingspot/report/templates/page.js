"use strict";
// Everything that came from outside is text here: no markup is ever made of it.

/** An element with attributes and children; functions among the attributes are listeners. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Checkboxes or, with one of them checked, radio buttons under a legend; `changed` hears value and state. */
function choices(legend, values, changed, only = null) {
  const name = `choice-${++choices.count}`;
  const boxes = values.map((value) => {
    const box = make("input", { type: only === null ? "checkbox" : "radio", name, change: () => changed(value, box.checked) });
    box.checked = only === null || value === only;
    return make("label", {}, box, ` ${value}`);
  });
  return make("fieldset", {}, make("legend", {}, legend), ...boxes);
}
choices.count = 0;

/** A link to the items of a cell, where the page has some. */
function itemsLink(cell, title) {
  return make("a", { class: "to-items", href: `#items/${encodeURIComponent(cell)}`, "aria-label": `items of ${title}` }, "items");
}
