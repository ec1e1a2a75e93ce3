# A stand-in for the official Redis image, from Debian's own server: data in /data, no protected mode, user redis.
FROM shipshape.test/debian:trixie
COPY redis-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN install -d -o redis -g redis /data
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
