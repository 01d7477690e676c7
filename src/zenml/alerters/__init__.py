"""Alerters: messages to people."""

from zenml.alerters.active import get_active_alerter
from zenml.alerters.base_alerter import BaseAlerter
from zenml.alerters.email_alerter import EmailAlert, EmailAlerter
from zenml.alerters.webhook_alerter import WebhookAlerter

__all__ = ["BaseAlerter", "EmailAlert", "EmailAlerter", "WebhookAlerter", "get_active_alerter"]
