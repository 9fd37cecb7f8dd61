# An image of a service for AWS: with the authority of the database, and the subscriptions of alerts.
#   docker build -f deploy/aws/service.Dockerfile --build-arg SERVICE_IMAGE=reefmesh/ingest:local FOLDER
# FOLDER holds database-ca.pem (Amazon's bundle for RDS) and subscriptions.toml (docs/alerts.md).
ARG SERVICE_IMAGE
FROM ${SERVICE_IMAGE}
COPY database-ca.pem subscriptions.toml /etc/reefmesh/
