// The first charts are drawn at once, the others when they come into view: a report may hold hundreds.
const AT_ONCE = 4;

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "400px" });

async function draw(place) {
  const spec = JSON.parse(document.getElementById(place.dataset.spec).textContent);
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
