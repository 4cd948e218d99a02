"""Captures as a notebook reads them: typed records, and whose protocol they speak."""
from orderflow.simulator.recording import CaptureError, Record, read_capture, recognise

__all__ = ["CaptureError", "Record", "read_capture", "recognise"]
