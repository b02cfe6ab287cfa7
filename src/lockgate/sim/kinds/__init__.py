"""The kinds of documents, by theme: each knows its schema, and how to grow a document part by part."""
