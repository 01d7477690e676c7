"""Ray: an orchestrator and a step operator."""
