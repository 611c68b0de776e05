export default {
  render({ model, el }) {
    const choice = (suspect, n) =>
      h("button", {
        class: "sl-choice", role: "option", "aria-selected": String(n === model.get("index")),
        onclick: () => model.send({ suspect: n }),
      },
      h("b", {}, suspect.title),
      h("span", { class: "sl-quiet" },
        [suspect.where, counted(suspect.events, "event"), counted(suspect.recordings, "recording")].join(" · ")));

    const detail = (suspect) =>
      h("div", { class: "sl-detail" },
        h("dl", {},
          h("dt", {}, "seen"), h("dd", {}, suspect.seen),
          h("dt", {}, "frame"), h("dd", {}, h("code", {}, suspect.frame)),
          h("dt", {}, "set apart by"), h("dd", {}, suspect.contrast.join(", ") || "nothing"),
          h("dt", {}, "fingerprint"), h("dd", {}, h("code", {}, suspect.fingerprint))),
        h("div", { class: "sl-quiet" }, "exemplars"),
        h("div", { class: "sl-row" },
          ...suspect.exemplars.map((trace, n) =>
            h("button", { class: "sl-exemplar", title: trace, onclick: () => model.send({ exemplar: n }) }, trace.slice(0, 16)))));

    el.classList.add("sl-view");
    el.append(
      live(model, ["offered", "index"], () => {
        const offered = model.get("offered");
        if (!offered.length) return h("p", {}, "Triage found no error.");
        return h("div", { class: "sl-split" },
          h("div", { class: "sl-list", role: "listbox", "aria-label": "suspects" }, ...offered.map(choice)),
          detail(offered[model.get("index")]));
      }),
      live(model, ["waterfall"], () => html(model.get("waterfall"), "sl-picture")),
      verb(model),
    );
  },
};
