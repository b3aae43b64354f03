"""The manual's pages, from Markdown and from the registry. No Qt."""
