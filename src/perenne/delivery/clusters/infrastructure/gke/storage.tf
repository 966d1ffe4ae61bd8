# Images, objects and the database; and the account by which pods of perenne reach the objects, without any key.

resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"

  depends_on = [google_project_service.needed]
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

resource "random_id" "bucket" {
  byte_length = 4
}

resource "google_storage_bucket" "objects" {
  name                        = "${var.name}-${random_id.bucket.hex}"
  location                    = var.region
  force_destroy               = !var.protect
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  versioning {
    enabled = true
  }
}

resource "google_service_account" "perenne" {
  account_id   = "${var.name}-plane"
  display_name = "perenne in ${var.name}"
}

resource "google_storage_bucket_iam_member" "perenne" {
  bucket = google_storage_bucket.objects.name
  role   = "roles/storage.objectUser"
  member = google_service_account.perenne.member
}

resource "google_service_account_iam_member" "perenne" {
  service_account_id = google_service_account.perenne.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.namespace}/perenne]"

  depends_on = [google_container_cluster.main]
}

resource "random_password" "database" {
  length  = 32
  special = false
}

resource "google_sql_database_instance" "main" {
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = var.protect

  settings {
    tier              = var.database_tier
    edition           = "ENTERPRISE"
    availability_type = "REGIONAL"
    disk_autoresize   = true

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.main.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
  }

  depends_on = [google_service_networking_connection.database]
}

resource "google_sql_database" "perenne" {
  name     = "perenne"
  instance = google_sql_database_instance.main.name
}

resource "google_sql_user" "perenne" {
  name     = "perenne"
  instance = google_sql_database_instance.main.name
  password = random_password.database.result
}
