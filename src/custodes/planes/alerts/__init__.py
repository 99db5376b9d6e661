"""Threshold alerts with firing and resolved states."""
