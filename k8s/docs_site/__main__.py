"""Write the pages."""

from k8s.docs_site.pages import pages

if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
