# A stand-in for the official MariaDB image, from Debian's own server: same variables, same places, same user.
FROM shipshape.test/debian:trixie
COPY mariadb.cnf /etc/mysql/my.cnf
COPY mysql-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# The empty data folder is made here once, because every test would wait for it.
RUN rm -rf /var/lib/mysql \
    && install -d -o mysql -g mysql /run/mysqld /var/lib/mysql /usr/share/testbed \
    && mariadb-install-db --user=mysql --datadir=/usr/share/testbed/data --skip-test-db \
        --auth-root-authentication-method=normal >/dev/null \
    && echo "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';" \
    | mariadbd --bootstrap --datadir=/usr/share/testbed/data 2>/dev/null
ENV LANG=C.UTF-8
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mariadbd"]
