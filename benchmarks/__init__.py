"""The yardstick: what one request and one streamed chunk cost. Run `python -m benchmarks` from the repository root."""
