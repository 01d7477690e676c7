"""Object stores that speak S3: Amazon's own, and any compatible server."""
