"""Tables of posts: text with separators, Parquet, Arrow, SQLite, and JSON that is written column by column."""
