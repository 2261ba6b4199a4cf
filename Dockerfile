FROM python:3.13-slim

WORKDIR /app
# Copied before the code, so that a change to the code does not install the packages again.
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY *.py openapi.yaml ./
COPY access access
COPY background background
COPY commands commands
COPY interviews interviews
COPY invitations invitations
COPY monitoring monitoring
COPY openai_api openai_api
COPY pages pages
COPY positions positions
COPY records records
COPY scorecards scorecards
COPY storage storage
COPY web web

# The service does not run as root, and writes to /data only.
RUN useradd --system --uid 10001 --no-create-home tukma && install -d -o tukma /data
USER tukma
VOLUME /data

ENV PORT=8000 DATABASE_URL=sqlite:////data/messages.db PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD \
  ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=9)"]

CMD ["gunicorn", "app:app"]
