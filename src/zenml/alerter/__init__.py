"""Another name of zenml.alerters."""

from zenml.alerters import BaseAlerter, EmailAlert, EmailAlerter, WebhookAlerter, get_active_alerter

__all__ = ["BaseAlerter", "EmailAlert", "EmailAlerter", "WebhookAlerter", "get_active_alerter"]
