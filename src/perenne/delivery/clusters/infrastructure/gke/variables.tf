variable "project" {
  description = "The project of Google Cloud, by its id."
  type        = string
}

variable "region" {
  description = "Where everything goes."
  type        = string
  default     = "europe-west4"
}

variable "name" {
  description = "What everything is called."
  type        = string
  default     = "perenne"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "Small letters, digits and dashes, 2 to 20 of them, beginning with a letter."
  }
}

variable "namespace" {
  description = "The namespace in which perenne runs."
  type        = string
  default     = "perenne"
}

variable "machine_type" {
  description = "The machines of the nodes."
  type        = string
  default     = "e2-standard-4"
}

variable "min_nodes" {
  description = "Nodes in each zone, at least."
  type        = number
  default     = 1
}

variable "max_nodes" {
  description = "Nodes in each zone, at most."
  type        = number
  default     = 5
}

variable "api_callers" {
  description = "Networks from which the cluster's API is reached, with a name for each."
  type        = map(string)
  default     = {}
}

variable "database_tier" {
  description = "The machine of the database."
  type        = string
  default     = "db-custom-2-7680"
}

variable "protect" {
  description = "Whether cluster, database and bucket refuse to be destroyed."
  type        = bool
  default     = true
}
