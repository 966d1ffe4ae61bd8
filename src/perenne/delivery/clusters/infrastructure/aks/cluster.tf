resource "azurerm_user_assigned_identity" "cluster" {
  name                = "${var.name}-cluster"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
}

resource "azurerm_role_assignment" "network" {
  scope                = azurerm_subnet.nodes.id
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_user_assigned_identity.cluster.principal_id
}

resource "azurerm_kubernetes_cluster" "main" {
  name                              = var.name
  resource_group_name               = azurerm_resource_group.main.name
  location                          = azurerm_resource_group.main.location
  dns_prefix                        = var.name
  automatic_upgrade_channel         = "stable"
  azure_policy_enabled              = true
  oidc_issuer_enabled               = true
  role_based_access_control_enabled = true
  workload_identity_enabled         = true

  default_node_pool {
    name                         = "system"
    vm_size                      = var.vm_size
    node_count                   = 2
    only_critical_addons_enabled = true
    vnet_subnet_id               = azurerm_subnet.nodes.id
    temporary_name_for_rotation  = "systemnext"

    upgrade_settings {
      max_surge = "33%"
    }
  }

  node_provisioning_profile {
    mode = "Manual"
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.cluster.id]
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_policy      = "cilium"
    network_data_plane  = "cilium"
    pod_cidr            = "10.20.0.0/16"
    service_cidr        = "10.30.0.0/20"
    dns_service_ip      = "10.30.0.10"
  }

  dynamic "api_server_access_profile" {
    for_each = length(var.api_callers) > 0 ? [var.api_callers] : []

    content {
      authorized_ip_ranges = api_server_access_profile.value
    }
  }

  depends_on = [azurerm_role_assignment.network]
}

resource "azurerm_kubernetes_cluster_node_pool" "main" {
  name                  = "main"
  kubernetes_cluster_id = azurerm_kubernetes_cluster.main.id
  vm_size               = var.vm_size
  vnet_subnet_id        = azurerm_subnet.nodes.id
  auto_scaling_enabled  = true
  min_count             = var.min_nodes
  max_count             = var.max_nodes
  zones                 = ["1", "2", "3"]

  upgrade_settings {
    max_surge = "33%"
  }
}
