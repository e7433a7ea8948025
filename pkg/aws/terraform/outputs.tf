output "bucket_name" {
  description = "Bucket name, for --bucket"
  value       = aws_s3_bucket.recordings.id
}

output "role_arn" {
  description = "Role ARN, for --role-arn"
  value       = aws_iam_role.recorder.arn
}

output "external_id" {
  description = "External ID, for --external-id"
  value       = var.external_id
}

output "region" {
  description = "Region, for --region"
  value       = data.aws_region.current.name
}

output "prefix" {
  description = "Prefix of every key, for --prefix"
  value       = var.prefix
}
