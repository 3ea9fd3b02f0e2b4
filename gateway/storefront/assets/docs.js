// The OpenAPI documents of the five services in Swagger UI, loaded from this host only.
// `?urls.primaryName=orders` selects a document, and the fragment an operation in it.
/* global SwaggerUIBundle, SwaggerUIStandalonePreset */

const DOCUMENTS = ["auth", "catalog", "orders", "payments", "logs"];

/** Return the Swagger UI plugin that adapts it to the shop. */
function shopPlugin() {
  return {
    components: {
      // The logo has an inline style, which the Content-Security-Policy blocks.
      Logo: () => null,
    },
    statePlugins: {
      auth: {
        wrapSelectors: {
          // The browser sends the cookie itself, and the gateway rejects service tokens.
          definitionsToAuthorize: (list) => (state, ...rest) =>
            list(state, ...rest).filterNot((scheme) => scheme.has("cookie") || scheme.has("service")),
        },
      },
      spec: {
        wrapSelectors: {
          // The gateway does not route internal operations.
          allowTryItOutFor: (_allow, { specSelectors }) => (_state, path, method) =>
            !specSelectors.specJson().getIn(["paths", path, method, "x-internal"]),
        },
      },
    },
  };
}

// Swagger UI opens the linked operation only on start, so a link within the same document needs a reload.
window.addEventListener("hashchange", () => {
  if (window.location.hash.startsWith("#/")) window.location.reload();
});

SwaggerUIBundle({
  dom_id: "#documents",
  urls: DOCUMENTS.map((name) => ({ name, url: `/docs/${name}.json` })),
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [shopPlugin],
  layout: "StandaloneLayout",
  deepLinking: true,
  filter: true,
  displayRequestDuration: true,
  // Each operation shows its schemas.
  defaultModelsExpandDepth: -1,
  // Do not send the documents to an external validator.
  validatorUrl: null,
});
