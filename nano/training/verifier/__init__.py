"""How the nano verifiers were made: a generative one, a weaker one, and a discriminative one."""
