// The OpenAPI documents of the five services, shown by Swagger UI. Nothing is loaded from anywhere but here.
// `?urls.primaryName=orders` opens a document, and the fragment an operation in it.
/* global SwaggerUIBundle, SwaggerUIStandalonePreset */

const DOCUMENTS = ["auth", "catalog", "orders", "payments", "logs"];

/** Fits Swagger UI into the shop. */
function fitIn() {
  return {
    components: {
      // Its logo has a style of its own inside, which the Content-Security-Policy refuses.
      Logo: () => null,
    },
    statePlugins: {
      auth: {
        wrapSelectors: {
          // The browser sends the cookie by itself, and the gateway lets no service's token through.
          definitionsToAuthorize: (list) => (state, ...rest) =>
            list(state, ...rest).filterNot((scheme) => scheme.has("cookie") || scheme.has("service")),
        },
      },
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

// Swagger UI follows a link to an operation when it starts, and not to another one of the same document.
window.addEventListener("hashchange", () => {
  if (window.location.hash.startsWith("#/")) window.location.reload();
});

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
  // Nobody else is asked whether a document is valid.
  validatorUrl: null,
});
