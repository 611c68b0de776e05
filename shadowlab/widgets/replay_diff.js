export default {
  render({ model, el }) {
    el.classList.add("sl-view");
    el.append(
      live(model, ["page"], () => html(model.get("page"))),
      h("details", {}, h("summary", {}, "nondeterminism ledger"), live(model, ["ledger"], () => html(model.get("ledger")))),
      verb(model),
    );
  },
};
