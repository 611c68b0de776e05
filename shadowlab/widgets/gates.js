export default {
  render({ model, el }) {
    el.classList.add("sl-view");
    el.append(
      live(model, ["page"], () => html(model.get("page"))),
      live(model, ["intervals"], () => (model.get("intervals") ? html(model.get("intervals"), "sl-picture") : null)),
      h("details", {}, h("summary", {}, "statistics"), live(model, ["statistics"], () => html(model.get("statistics")))),
      verb(model),
    );
  },
};
