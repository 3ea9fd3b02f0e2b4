SwaggerUIBundle({
  dom_id: "#documents",
  urls: ["auth", "catalog", "orders", "payments", "logs"].map((name) => ({ name, url: `/docs/${name}.json` })),
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
  deepLinking: true,
  filter: true,
  validatorUrl: null,
});
