output "kubeconfig" {
  description = "The command that adds a context for this cluster to the kubeconfig."
  value       = "az aks get-credentials --resource-group ${azurerm_resource_group.main.name} --name ${azurerm_kubernetes_cluster.main.name}"
}

output "registry" {
  description = "Where images are pushed."
  value       = azurerm_container_registry.images.login_server
}

output "objects" {
  description = "What --objects of `perenne deploy render --control-plane` is."
  value       = "az://${azurerm_storage_container.objects.name}/perenne"
}

output "objects_account" {
  description = "The storage account: AZURE_STORAGE_ACCOUNT_NAME in the Secret that --objects-secret names."
  value       = azurerm_storage_account.objects.name
}

output "client_id" {
  description = "The annotation azure.workload.identity/client-id of the ServiceAccount perenne."
  value       = azurerm_user_assigned_identity.perenne.client_id
}

output "database_url" {
  description = "What the key `url` of the Secret perenne-database is."
  value       = "postgresql://${azurerm_postgresql_flexible_server.main.administrator_login}:${random_password.database.result}@${azurerm_postgresql_flexible_server.main.fqdn}:5432/${azurerm_postgresql_flexible_server_database.perenne.name}?sslmode=require"
  sensitive   = true
}
