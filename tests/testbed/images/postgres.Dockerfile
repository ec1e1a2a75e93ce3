# A stand-in for the official PostgreSQL image, from Debian's own server: same variables, same places, same user.
FROM shipshape.test/debian:trixie
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN rm -rf /var/lib/postgresql/17 /etc/postgresql/17 \
    && install -d -o postgres -g postgres -m 3777 /run/postgresql \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
# The programs themselves before Debian's wrappers, which want a cluster of Debian's.
ENV LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/lib/postgresql/17/bin:/usr/sbin:/usr/bin:/sbin:/bin
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
