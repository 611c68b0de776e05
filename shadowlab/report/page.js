// Every figure is a static picture already; where plotly runs, it takes the picture's place on screens.
for (const figure of document.querySelectorAll("figure.plot")) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const live = document.createElement("div");
  live.className = "live";
  figure.append(live);
  const draw = () => {
    figure.classList.add("drawn"); // first, so that plotly sees how wide it may be
    return Plotly.newPlot(live, spec.data, { height: 340, ...spec.layout, autosize: true }, { responsive: true, displayModeBar: false })
      .catch(() => figure.classList.remove("drawn"));
  };
  new IntersectionObserver((seen, watch) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    draw();
  }).observe(figure);
}
