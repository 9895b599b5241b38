// The first charts are drawn at once, the others when they come into view: a report may hold hundreds.
const AT_ONCE = 4;

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "400px" });

// Pixels of a chart beside its panels (axis, its title, padding), and beside its title.
const BESIDE = 92;
const PADDING = 24;

// The newest rows, which matter most, stand at the right: on a narrow page they would be outside of it.
function fit(spec, place) {
  const width = Math.max(200, place.clientWidth - BESIDE);
  for (const panel of spec.vconcat || []) panel.width = width;
  if (spec.title) spec.title.limit = place.clientWidth - PADDING;
  return spec;
}

async function draw(place) {
  const spec = fit(JSON.parse(document.getElementById(place.dataset.spec).textContent), place);
  const options = { mode: "vega-lite", actions: false, renderer: "canvas", ast: true };
  try {
    await vegaEmbed(place, spec, options);
    place.dataset.drawn = "yes";
  } catch (error) {
    place.dataset.drawn = "no";
    place.textContent = "This chart could not be drawn: " + error.message;
  }
}

document.querySelectorAll("[data-spec]").forEach((place, number) => {
  if (number < AT_ONCE) draw(place);
  else seen.observe(place);
});
