"""The customer portal: a page and an API of its own, which lead to nothing else."""
