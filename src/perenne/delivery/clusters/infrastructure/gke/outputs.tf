output "kubeconfig" {
  description = "The command that adds a context for this cluster to the kubeconfig."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.main.name} --region ${var.region} --project ${var.project}"
}

output "registry" {
  description = "Where images are pushed."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "objects" {
  description = "What --objects of `perenne deploy render --control-plane` is."
  value       = "gs://${google_storage_bucket.objects.name}/perenne"
}

output "service_account" {
  description = "The annotation iam.gke.io/gcp-service-account of the ServiceAccount perenne."
  value       = google_service_account.perenne.email
}

output "database_url" {
  description = "What the key `url` of the Secret perenne-database is."
  value       = "postgresql://${google_sql_user.perenne.name}:${random_password.database.result}@${google_sql_database_instance.main.private_ip_address}:5432/${google_sql_database.perenne.name}?sslmode=require"
  sensitive   = true
}
