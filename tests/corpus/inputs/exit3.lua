print('child') os.exit(3)
