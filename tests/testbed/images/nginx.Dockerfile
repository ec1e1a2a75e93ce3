# A stand-in for the official nginx image, from Debian's own server: sites in conf.d, logs on stdout and stderr.
FROM shipshape.test/debian:trixie
RUN rm -f /etc/nginx/sites-enabled/default \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
