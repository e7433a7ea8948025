variable "principal_arn" {
  type        = string
  description = "ARN of the recorder's own role, user or account (its operator knows it)"
  validation {
    condition     = can(regex("^arn:aws[-a-z]*:(iam|sts)::[0-9]{12}:(root|user/.+|role/.+|assumed-role/.+)$", var.principal_arn))
    error_message = "The principal_arn must be an ARN such as arn:aws:iam::111122223333:role/recorder."
  }
}

variable "external_id" {
  type        = string
  description = "External ID that the recorder shows when it assumes the role"
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]*$", var.external_id)) && length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "The external_id must be 2 to 1224 letters, digits and _+=,.@:/-."
  }
}

variable "bucket_name" {
  type        = string
  default     = ""
  description = "Name of the bucket to make; empty lets Terraform choose one"
  validation {
    condition     = can(regex("^(|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$", var.bucket_name))
    error_message = "The bucket_name must be a name that S3 allows, or nothing."
  }
}

variable "prefix" {
  type        = string
  default     = ""
  description = "What every key begins with, as in the storage's settings, such as ssh/; may be empty"
  validation {
    condition     = can(regex("^(|[A-Za-z0-9!_.'()=-][A-Za-z0-9!_.'()/=-]*/)$", var.prefix)) && length(var.prefix) <= 128
    error_message = "The prefix must be characters that are safe in keys, ending in a slash, or nothing."
  }
}

variable "role_name" {
  type        = string
  default     = ""
  description = "Name of the role to make; empty lets Terraform choose one"
  validation {
    condition     = can(regex("^(|[A-Za-z0-9_+=,.@-]{1,64})$", var.role_name))
    error_message = "The role_name must be a name that IAM allows, or nothing."
  }
}

variable "versioning" {
  type        = bool
  default     = false
  description = "Whether the bucket keeps older versions of its objects"
}
