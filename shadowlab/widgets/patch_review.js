export default {
  render({ model, el }) {
    const tabs = () => {
      const offered = model.get("offered");
      if (offered.length < 2) return null;
      return h("div", { class: "sl-row", role: "tablist" }, ...offered.map((words, n) =>
        h("button", {
          class: "sl-exemplar", role: "tab", "aria-selected": String(n === model.get("index")),
          onclick: () => model.send({ candidate: n }),
        }, `${n + 1}. ${words}`)));
    };

    const reason = h("input", { class: "sl-reason", placeholder: "why not?", "aria-label": "reason" });
    const decide = h("div", { class: "sl-verb" },
      h("button", { class: "sl-accept", onclick: () => model.send({ accept: true }) }, "Accept"),
      h("button", { class: "sl-reject", onclick: () => model.send({ reject: reason.value }) }, "Reject"),
      reason);

    el.classList.add("sl-view");
    el.append(
      live(model, ["offered", "index"], tabs),
      live(model, ["page"], () => html(model.get("page"))),
      live(model, ["offered"], () => (model.get("offered").length ? decide : null)),
      live(model, ["decided"], () => (model.get("decided") ? h("p", { class: "sl-decided", role: "status" }, model.get("decided")) : null)),
      verb(model),
    );
  },
};
