# On a cluster the storefront travels with the gateway's image; its configuration comes as configs, or ConfigMaps.
FROM nginx:1.30
COPY gateway/storefront /gateway/storefront
USER root
RUN chmod -R a+rX /gateway
USER 101:101
