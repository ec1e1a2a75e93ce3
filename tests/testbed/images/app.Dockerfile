# Stands in for the application's own programs: says that it started, then waits until it is told to stop.
FROM shipshape.test/debian:trixie
COPY app-run /usr/local/bin/run
WORKDIR /app
CMD ["run", "application"]
