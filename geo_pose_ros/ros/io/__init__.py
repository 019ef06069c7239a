"""Middleware: quality of service, CDR, message classes, transforms, topics, parameters."""
