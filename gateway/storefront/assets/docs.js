// The OpenAPI documents of the five services, shown by Swagger UI. Nothing is loaded from anywhere but here.
// `?urls.primaryName=orders` opens a document, and the fragment an operation in it.
/* global SwaggerUIBundle, SwaggerUIStandalonePreset */

const DOCUMENTS = ["auth", "catalog", "orders", "payments", "logs"];

/** Fits Swagger UI into the shop: our name in the place of its logo, no calls that lead nowhere. */
function fitIn() {
  return {
    components: {
      // Its logo has a style of its own inside, which the Content-Security-Policy refuses.
      Logo: () => null,
    },
    statePlugins: {
      spec: {
        wrapSelectors: {
          // The gateway leads to no operation that is for the services among themselves.
          allowTryItOutFor: (_allow, { specSelectors }) => (_state, path, method) =>
            !specSelectors.specJson().getIn(["paths", path, method, "x-internal"]),
        },
      },
    },
  };
}

SwaggerUIBundle({
  dom_id: "#documents",
  urls: DOCUMENTS.map((name) => ({ name, url: `/docs/${name}.json` })),
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [fitIn],
  layout: "StandaloneLayout",
  deepLinking: true,
  filter: true,
  displayRequestDuration: true,
  // What a schema holds is shown with each operation.
  defaultModelsExpandDepth: -1,
  // There is one server: this one. And nobody else is asked whether a document is valid.
  validatorUrl: null,
});
