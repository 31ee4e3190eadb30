"""Parts of a real cluster fail under real traffic; what users get, and how it ends without a person."""
