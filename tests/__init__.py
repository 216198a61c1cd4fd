"""A regular package, so that none of the same name in the environment hides it in processes that tests start."""
