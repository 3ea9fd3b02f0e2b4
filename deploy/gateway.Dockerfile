# On a cluster, the gateway's image contains the storefront. Its configuration is mounted from configs or
# ConfigMaps.
FROM nginx:1.30
COPY gateway/storefront /gateway/storefront
USER root
RUN chmod -R a+rX /gateway
USER 101:101
