# A stand-in for the official MySQL image, from Debian's own server: same variables, same places, same user.
FROM shipshape.test/debian:sid
COPY mysql.cnf /etc/mysql/my.cnf
COPY mysql-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# The empty data folder is made here once, because every test would wait for it; each server gets an identity of its own.
RUN rm -rf /var/lib/mysql /var/lib/mysql-files /var/lib/mysql-keyring \
    && install -d -o mysql -g mysql /run/mysqld /var/lib/mysql /usr/share/testbed \
    && mysqld --initialize-insecure --user=mysql --datadir=/usr/share/testbed/data \
    && rm -f /usr/share/testbed/data/auto.cnf
ENV LANG=C.UTF-8
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mysqld"]
