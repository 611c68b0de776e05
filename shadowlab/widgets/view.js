// What every view shares. Text from outside goes in as text; `html` takes only what Python escaped.
const h = (tag, attributes = {}, ...inside) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...inside.filter((part) => part !== null && part !== undefined));
  return node;
};

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

const html = (markup, name = "") => {
  const node = h("div", { class: name });
  node.innerHTML = markup;
  return node;
};

// Keeps what `make` gives up to date with some of the model's values.
const live = (model, names, make) => {
  const node = h("div");
  const draw = () => node.replaceChildren(...[make()].flat().filter(Boolean));
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return node;
};

// The button that runs the next verb, its bar, and what came of it.
const verb = (model) =>
  live(model, ["button", "state", "message", "progress"], () => {
    const { what, done, total } = model.get("progress");
    const running = model.get("state") === "running";
    const words = what ? `${what}: ${done}${total ? ` of ${total}` : ""}` : "starting";
    const message = model.get("message");
    return h("div", { class: "sl-verb" },
      model.get("button")
        ? h("button", { class: "sl-go", disabled: running, onclick: () => model.send({ press: true }) }, model.get("button"))
        : null,
      running ? h("progress", total ? { max: total, value: done, "aria-label": words } : { "aria-label": words }) : null,
      running ? h("span", { class: "sl-quiet" }, words) : null,
      message ? h("span", { class: `sl-${model.get("state")}`, role: "status" }, message) : null);
  });

