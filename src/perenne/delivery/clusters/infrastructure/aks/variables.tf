variable "subscription" {
  description = "The subscription of Azure, by its id."
  type        = string
}

variable "location" {
  description = "Where everything goes."
  type        = string
  default     = "westeurope"
}

variable "name" {
  description = "What everything is called."
  type        = string
  default     = "perenne"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,15}$", var.name))
    error_message = "Small letters and digits, 2 to 16 of them, beginning with a letter."
  }
}

variable "namespace" {
  description = "The namespace in which perenne runs."
  type        = string
  default     = "perenne"
}

variable "vm_size" {
  description = "The machines of the nodes."
  type        = string
  default     = "Standard_D4s_v5"
}

variable "min_nodes" {
  description = "Nodes, at least."
  type        = number
  default     = 2
}

variable "max_nodes" {
  description = "Nodes, at most."
  type        = number
  default     = 10
}

variable "api_callers" {
  description = "Networks from which the cluster's API is reached."
  type        = list(string)
  default     = []
}

variable "database_sku" {
  description = "The machine of the database."
  type        = string
  default     = "GP_Standard_D2ds_v5"
}
