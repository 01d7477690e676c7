"""Run control and the execution of steps, written once for every orchestrator.

It names nothing: processes of steps need the runner alone, and start as fast as they can without run control.
"""
