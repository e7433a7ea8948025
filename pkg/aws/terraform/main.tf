# What an organization sets up on its side: a bucket for its recordings, and a role that lets the
# recorder store and read them, and nothing else. The same as the CloudFormation template makes.
#
#   module "castbucket" {
#     source        = "/usr/share/castbucket/aws/terraform"
#     principal_arn = "arn:aws:iam::111122223333:role/recorder"
#     external_id   = "..."
#   }
#
# The outputs are the values for 'castbucket settings storage'.

terraform {
  required_version = ">= 1.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }
  }
}

data "aws_partition" "current" {}

data "aws_region" "current" {}

resource "aws_s3_bucket" "recordings" {
  bucket = var.bucket_name == "" ? null : var.bucket_name

  # Recordings are evidence: destroying the rest must not destroy them.
  force_destroy = false
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "recordings" {
  bucket                  = aws_s3_bucket.recordings.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "recordings" {
  count  = var.versioning ? 1 : 0
  bucket = aws_s3_bucket.recordings.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  rule {
    # The role may not abort uploads, so S3 clears up those that were never completed.
    id     = "AbortStaleUploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid     = "TlsOnly"
    effect  = "Deny"
    actions = ["s3:*"]
    resources = [
      "arn:${data.aws_partition.current.partition}:s3:::${aws_s3_bucket.recordings.id}",
      "arn:${data.aws_partition.current.partition}:s3:::${aws_s3_bucket.recordings.id}/*",
    ]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  policy = data.aws_iam_policy_document.bucket.json
  # S3 refuses a policy while it still judges whether one could be public.
  depends_on = [aws_s3_bucket_public_access_block.recordings]
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "LetTheRecorderIn"
    effect  = "Allow"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.principal_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
  }
}

data "aws_iam_policy_document" "recordings" {
  statement {
    sid       = "StoreAndReadRecordings"
    effect    = "Allow"
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${aws_s3_bucket.recordings.id}/${var.prefix}*"]
  }
  statement {
    sid       = "ListRecordings"
    effect    = "Allow"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${aws_s3_bucket.recordings.id}"]
    dynamic "condition" {
      for_each = var.prefix == "" ? [] : [var.prefix]
      content {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = ["${condition.value}*"]
      }
    }
  }
  statement {
    sid       = "FindRegion"
    effect    = "Allow"
    actions   = ["s3:GetBucketLocation"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${aws_s3_bucket.recordings.id}"]
  }
}

resource "aws_iam_role" "recorder" {
  name               = var.role_name == "" ? null : var.role_name
  description        = "Lets castbucket store and read session recordings"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "recordings" {
  name   = "recordings"
  role   = aws_iam_role.recorder.id
  policy = data.aws_iam_policy_document.recordings.json
}
